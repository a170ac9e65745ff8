"""Matrix products of the networks with cheaper gradients than TensorFlow's: sparse matrices, large dense layers."""
