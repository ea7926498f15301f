"""The provider whose contacts live inside the process."""
