"""Routes of a gateway: which app is served at which address, and HAProxy's map that holds them."""
