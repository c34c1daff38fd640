"""Names without identity: keyed hashes for patients, studies and samples.

A plain hash of a hospital number can be reversed by trying all numbers; a keyed one (HMAC, RFC 2104) cannot without the
key, which stays in the project's `data/` folder, out of every run and report.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

KEY_FILE = "data/pseudonym.key"
KEY_BYTES = 32
DIGITS = 12


@dataclass(frozen=True)
class Pseudonyms:
    """Turns identifiers into names that say nothing; equal input and key give equal names.

    Attributes
    ----------
    key
        Secret key; None leaves patients and studies as they are, which is right for a simulated cohort.
    """

    key: Optional[bytes] = None

    def patient(self, value: str) -> str:
        """Name of a patient."""
        return value if self.key is None else f"P{self._digest('patient', value)}"

    def uid(self, value: Optional[str]) -> Optional[str]:
        """Name of a study or series; no name for a missing one."""
        return value if self.key is None or value is None else f"U{self._digest('uid', value)}"

    def sample(self, *parts: object) -> str:
        """Name of a sample from all that makes it what it is; hashed with or without a key."""
        return f"S{self._digest('sample', '|'.join(map(str, parts)))}"

    def _digest(self, kind: str, value: str) -> str:
        return hmac.new(self.key or b"", f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()[:DIGITS]


def load_or_create_key(path: Path) -> bytes:
    """Read the secret key; create it, readable by its owner alone, where there is none.

    Whoever holds the key and the identifiers can link them again: keep the file out of backups that others read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    key = secrets.token_bytes(KEY_BYTES)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(key.hex())
    return key
