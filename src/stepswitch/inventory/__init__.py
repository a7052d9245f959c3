"""Where an inventory comes from beside the API: a file, and VNFMs and NFVOs that are asked."""
