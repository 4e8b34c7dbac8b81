"""Operations on image tensors that need no network."""
