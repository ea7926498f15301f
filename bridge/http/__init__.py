"""HTTP and what it stands on: client, address guard, resolver, listener, connections, objects in S3.

Every request to an address that a customer named goes through `client` and `address_guard`. What is said
over these connections is in `whatsapp`, `webhooks`, `cluster` and `api`.
"""
