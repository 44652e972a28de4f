"""Made-up anatomy, scanners and data-set layouts, to try everything out on."""
