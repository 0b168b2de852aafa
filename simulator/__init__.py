"""A local stand-in for an external HTTP API; `simulator serve scenario.yaml` starts one."""

__version__ = "0.1.0"
