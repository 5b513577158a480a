"""A libpq of PostgreSQL 18 on this machine's OpenSSL.

The one that comes with the PostgreSQL 18 of the tests brings an OpenSSL 1.1 along, whose connections our OpenSSL
cannot look into. It comes as a static library, too, which needs one function that OpenSSL 3 has under another name."""

import subprocess

from .process import clean_environment
from .servers import PEERS

_SHIM = """#include <openssl/ssl.h>
#undef SSL_get_peer_certificate
X509 *SSL_get_peer_certificate(const SSL *ssl);
X509 *SSL_get_peer_certificate(const SSL *ssl) { return SSL_get1_peer_certificate(ssl); }
"""


def environment(directory):
    """What makes a program take it instead of Debian's; it is built in this directory."""
    library, shim = directory / "libpq.so.5", directory / "shim.c"
    static = PEERS / "postgresql-18" / "native" / "lib"
    if not library.exists():
        directory.mkdir(parents=True, exist_ok=True)
        shim.write_text(_SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, "-Wl,-soname,libpq.so.5", "-Wl,-z,defs", shim,
                        "-Wl,--whole-archive", static / "libpq.a", "-Wl,--no-whole-archive",
                        "-Wl,--exclude-libs,libpgcommon_shlib.a:libpgport_shlib.a", static / "libpgcommon_shlib.a",
                        static / "libpgport_shlib.a", "-lssl", "-lcrypto", "-lm"], check=True, timeout=60,
                       env=clean_environment())
    return {"LD_LIBRARY_PATH": str(directory)}
