"""Laws that follow from the maps: at the edge, at finite width, of residual layers, of gradients."""
