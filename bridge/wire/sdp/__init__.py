"""Session descriptions (RFC 8866), audio only: reading, answering and offering, for browsers and for telephones."""
