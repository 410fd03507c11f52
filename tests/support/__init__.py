"""What several test modules use: graphs, networks, files, builds, sessions. It holds no test."""
