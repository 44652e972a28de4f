"""Networks: tensors in, tensors out.

Shape letters, for all of anomae: B batch, C channels, H W pixels, N patches, K visible patches, D width, P patch side.
"""
