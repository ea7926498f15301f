"""The protocols of media streams and sockets: a message of a customer's server, and one to it."""
