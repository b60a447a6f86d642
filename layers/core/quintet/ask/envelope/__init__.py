"""Sealed prompts: a data key of its own for every request, wrapped for us alone, bound to all that stands beside it.

1. The caller makes a data key of 256 random bits and wraps it: `KMS` (it calls KMS's GenerateDataKey itself, under the
   encryption context that `context_of` has), or `RSA-OAEP-256` with our published public key.
2. It seals with XChaCha20-Poly1305 under a nonce of 24 random bytes. The associated data are the canonical JSON of
   everything that must not be exchanged: `associated` has the list.
3. We look the key's name up in our own list, unwrap, open, and remember the nonce for a day.
"""
