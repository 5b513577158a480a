"""A laboratory: real servers, certificates and the exporter itself, on loopback, gone afterwards.

Used by the integration tests and by packaging/quickstart.py. Everything listens on 127.0.0.0/8 (or
::1) at ports the kernel chose, lives in one temporary directory and dies with the process that
started it.
"""
