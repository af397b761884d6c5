"""The commands of `vis`. They parse options, call the other packages and print. Only `app` imports them."""
