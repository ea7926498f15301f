"""JSON Web Tokens, signed as Google (RS256) and Apple (ES256) want them: RFC 7519, RFC 7518 section 3."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def signed_token(claims: dict[str, Any], private_key: str, **header: str) -> str:
    """Sign claims with a private key in PEM: RSA, or elliptic on P-256."""
    key = load_pem_private_key(private_key.encode(), None)
    algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
    parts = [{"alg": algorithm, "typ": "JWT", **header}, claims]
    text = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        numbers = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(SHA256())))
        signature = b"".join(number.to_bytes(32, "big") for number in numbers)
    elif isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(text.encode(), padding.PKCS1v15(), SHA256())
    else:
        raise TypeError("the key is neither RSA nor elliptic")
    return f"{text}.{encoded(signature)}"


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
