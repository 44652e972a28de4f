"""Networks pre-trained on ImageNet, frozen."""
