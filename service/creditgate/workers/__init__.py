"""Several processes as one service: their parent's side, and the link between them."""
