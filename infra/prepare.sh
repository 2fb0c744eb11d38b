#!/bin/sh
# Run by azd before it deploys: what a template cannot make is made once, and kept in azd's environment.
set -eu
cd "$(dirname "$0")"

known() { azd env get-value "$1" >/dev/null 2>&1 && [ -n "$(azd env get-value "$1")" ]; }

known ACA_MCP_SECRET || azd env set ACA_MCP_SECRET "$(openssl rand -hex 32)"
known ACA_MCP_ENTRA_CLIENT_ID || azd env set ACA_MCP_ENTRA_CLIENT_ID "$(./entra.sh "aca-mcp $AZURE_ENV_NAME")"
