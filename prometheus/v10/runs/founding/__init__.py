"""Who founds the populations of an era, and which bars it has. Nothing here reaches into a life."""
