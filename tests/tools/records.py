"""TLS 1.3 records of our own making, for what no TLS library would send."""

import ssl
import struct
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

HANDSHAKE = 22
# NewSessionTicket: lifetime, age, nonce, ticket, no extensions.
_TICKET_BODY = struct.pack("!II", 7200, 1) + b"\x01\x00" + b"\x00\x01t" + b"\x00\x00"
TICKET = b"\x04" + len(_TICKET_BODY).to_bytes(3, "big") + _TICKET_BODY


def _expand(secret, label, length, algorithm):
    label = b"tls13 " + label
    info = struct.pack("!H", length) + bytes([len(label)]) + label + b"\0"
    return HKDFExpand(algorithm=algorithm, length=length, info=info).derive(secret)


class Records:
    """Encrypts as the server of a session whose handshake is over and which has sent nothing yet."""

    def __init__(self, secret, cipher):
        algorithm = hashes.SHA384() if "SHA384" in cipher else hashes.SHA256()
        chacha = "CHACHA" in cipher
        key = _expand(secret, b"key", 32 if chacha or "256_GCM" in cipher else 16, algorithm)
        self._iv = _expand(secret, b"iv", 12, algorithm)
        self._aead = (ChaCha20Poly1305 if chacha else AESGCM)(key)
        self._sequence = 0

    def encrypt(self, kind, data):
        inner = data + bytes([kind])
        header = b"\x17\x03\x03" + struct.pack("!H", len(inner) + 16)
        nonce = bytes(a ^ b for a, b in zip(self._iv, self._sequence.to_bytes(12, "big")))
        self._sequence += 1
        return header + self._aead.encrypt(nonce, inner, header)


def take_over(conversation, chain_file, key_file):
    """SSLRequest and handshake by the library, which is then asked no more: our records."""
    with tempfile.TemporaryDirectory() as directory:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain_file, key_file)
        context.num_tickets = 0
        log = Path(directory, "keys")
        context.keylog_filename = str(log)
        conversation.ssl_request()
        conversation.handshake(context=context)
        lines = [line.split() for line in log.read_text().splitlines()]
    (secret,) = [bytes.fromhex(words[2]) for words in lines if words[0] == "SERVER_TRAFFIC_SECRET_0"]
    return Records(secret, conversation.tls.cipher()[0])
