"""Signing in with an account elsewhere: OAuth2 authorization code with PKCE, OpenID Connect where there is one."""
