"""The RSA keys are keys: primes of 1024 bits, no two alike."""

from __future__ import annotations

from functools import reduce

from simulator.core.jwts import rsa_key
from simulator.core.profiles.rsa_keys import EXPONENT, PRIMES


def test_every_number_is_a_prime_of_1024_bits_and_comes_once() -> None:
    numbers = [reduce(lambda high, part: high << 256 | part, parts) for pair in PRIMES for parts in pair]
    assert len(set(numbers)) == len(numbers) == 8
    for number in numbers:
        assert number.bit_length() == 1024
        assert (number - 1) % EXPONENT
        assert all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7, 11, 13, 17, 19))  # Fermat


def test_every_pair_is_a_key_of_2048_bits() -> None:
    for number in range(len(PRIMES)):  # building one checks it: cryptography refuses numbers that do not fit together
        assert rsa_key(number).key_size == 2048
        assert rsa_key(number).public_key().public_numbers().e == EXPONENT
