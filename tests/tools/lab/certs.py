"""Certificates of every kind a server may show, made on the spot."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
HOSTS = ("localhost", "127.0.0.1", "::1")

KEYS = {
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa1024": lambda: rsa.generate_private_key(65537, 1024),
}


@dataclass
class Credentials:
    """A certificate with its key; `chain` is what a server serves: the leaf and what follows it."""
    certificate: x509.Certificate
    key: object
    chain: list

    @property
    def chain_pem(self):
        return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in self.chain)

    @property
    def certificate_pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self):
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption())

    def write(self, directory, name):
        """Writes <name>.crt (the chain) and <name>.key (mode 0600); returns both paths."""
        certificate, key = Path(directory, f"{name}.crt"), Path(directory, f"{name}.key")
        certificate.write_bytes(self.chain_pem)
        key.touch(0o600)
        key.write_bytes(self.key_pem)
        return certificate, key


def _names(hosts):
    """Of hosts and addresses as people write them; a name of another kind is one already."""
    for host in hosts:
        if isinstance(host, x509.GeneralName):
            yield host
            continue
        try:
            yield x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            yield x509.DNSName(host)


def _build(subject, key, issuer, issuer_key, *, hosts=(), authority=False, purposes=(),
           not_before=None, not_after=None, digest=None, critical=None):
    """`critical` is the OID of an extension nobody knows, to be marked critical."""
    now = datetime.datetime.utcnow()
    builder = (x509.CertificateBuilder()
               .subject_name(subject).issuer_name(issuer).public_key(key.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(not_before or now - DAY)
               .not_valid_after(not_after or now + 90 * DAY)
               .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
               .add_extension(
                   x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False))
    if authority:
        builder = builder.add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True,
                          content_commitment=False, key_encipherment=False, data_encipherment=False,
                          key_agreement=False, encipher_only=False, decipher_only=False), True)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(_names(hosts))), False)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), False)
    if critical:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(critical), b"\x05\x00")
        builder = builder.add_extension(unknown, True)
    algorithm = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else digest or hashes.SHA256()
    return builder.sign(issuer_key, algorithm)


def _common_name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) if text else x509.Name([])


class Authority(Credentials):
    """A root, or with `parent` an intermediate."""

    def __init__(self, name="Laboratory Root", key="ecdsa", parent=None, **dates):
        own = KEYS[key]()
        subject = _common_name(name)
        dates.setdefault("not_after", datetime.datetime.utcnow() + 3650 * DAY)
        issuer, issuer_key = (parent.certificate.subject, parent.key) if parent else (subject, own)
        certificate = _build(subject, own, issuer, issuer_key, authority=True, **dates)
        above = parent.chain if parent and parent.parent else []
        super().__init__(certificate, own, [certificate, *above])
        self.parent = parent

    def revocations(self, *revoked, next_update=None):
        """The PEM of a list of these certificates, good until `next_update`."""
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
                   .last_update(now - 2 * DAY).next_update(next_update or now + 30 * DAY))
        for one in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number)
                .revocation_date(now - DAY).build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, name="localhost", hosts=None, key="ecdsa", client=False, **dates):
        """A leaf, without names of hosts if it is a client's that does not say which; what a server
        serves with it is the leaf and the intermediates, not the root."""
        own = KEYS[key]()
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        leaf = _build(_common_name(name), own, self.certificate.subject, self.key,
                      hosts=hosts or (() if client else HOSTS), purposes=[purpose], **dates)
        return Credentials(leaf, own, [leaf, *(self.chain if self.parent else [])])

    def write_certificate(self, path):
        Path(path).write_bytes(self.certificate_pem)
        return Path(path)


def self_signed(name="localhost", hosts=HOSTS, key="ecdsa", **dates):
    own = KEYS[key]()
    certificate = _build(_common_name(name), own, _common_name(name), own, hosts=hosts, **dates)
    return Credentials(certificate, own, [certificate])


def expired(authority, **more):
    now = datetime.datetime.utcnow()
    return authority.issue(not_before=now - 30 * DAY, not_after=now - DAY, **more)


def not_yet_valid(authority, **more):
    now = datetime.datetime.utcnow()
    return authority.issue(not_before=now + DAY, not_after=now + 30 * DAY, **more)


def expiring(authority, days, lifetime=90, **more):
    """Valid now, but only for `days` more of its `lifetime`."""
    end = datetime.datetime.utcnow() + days * DAY
    return authority.issue(not_before=end - lifetime * DAY, not_after=end, **more)
