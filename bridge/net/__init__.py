"""What reaches out of the node, and what browsers are told for reaching in (TURN)."""
