"""How one container is made and confined. Runs in processes of its own; imports only the standard library."""
