#!/bin/sh
# Makes the Entra application that clients ask for tokens, and prints its client id.
# Needs the Azure CLI, and the right to register applications. Argument: its display name.
set -eu
name=$1
client=$(az ad app create --display-name "$name" --sign-in-audience AzureADMyOrg --query appId --output tsv)
object=$(az ad app show --id "$client" --query id --output tsv)
uuid() { cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen; }
body=$(mktemp)
trap 'rm -f "$body"' EXIT
# Tokens of version 2, one scope for people, one role for those whom an administrator assigns.
cat >"$body" <<JSON
{"identifierUris": ["api://$client"],
 "api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": [
   {"id": "$(uuid)", "value": "Python.Execute", "type": "User", "isEnabled": true,
    "adminConsentDisplayName": "Run Python",
    "adminConsentDescription": "Run Python in sessions of your own",
    "userConsentDisplayName": "Run Python",
    "userConsentDescription": "Run Python in sessions of your own"}]},
 "appRoles": [
   {"id": "$(uuid)", "value": "Python.User", "displayName": "Python user", "isEnabled": true,
    "description": "May run Python", "allowedMemberTypes": ["User", "Application"]}]}
JSON
az rest --method PATCH --url "https://graph.microsoft.com/v1.0/applications/$object" \
  --headers Content-Type=application/json --body "@$body" >&2
az ad sp create --id "$client" >&2
echo "$client"
