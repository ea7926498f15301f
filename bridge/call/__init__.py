"""What a call is: its model, the events that move it, the commands it answers with, its bus. Pure."""
