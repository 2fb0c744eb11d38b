"""Who calls over HTTP: static tokens, and the tokens of an OIDC issuer such as Microsoft Entra ID.

A caller's token ends here. It is checked, what it says is kept, and it goes nowhere further: not to
the session pool, not into a log, and not into an object that could be printed.
"""
