"""Writers of the formats of `vis export`. `formats` lists them."""
