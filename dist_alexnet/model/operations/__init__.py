"""What follows a layer's linear map: activation, normalisation, pooling, dropout."""
