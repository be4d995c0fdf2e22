"""Planning a recipe for a cluster: memory, tokens, steps and hours, and a simulator of reinforcement-learning steps."""
