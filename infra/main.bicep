// The server on Azure Container Apps, with a session pool of its own: see docs/deploy.md.
// azuredeploy.json is the same as an ARM template; the tests compare the two.

targetScope = 'subscription'

@minLength(1)
@maxLength(20)
@description('Names the resources: letters, digits and hyphens.')
param environmentName string

@minLength(1)
@description('The region of everything.')
param location string

@minLength(36)
@maxLength(36)
@description('The client id of the Entra application that clients ask for tokens: infra/entra.sh makes it.')
param entraClientId string

@secure()
@minLength(32)
@description('Makes handles and links. Another one voids those that clients have: give the same again.')
param secret string

@description('The container image of the server.')
param image string = 'ghcr.io/aca-mcp/aca-mcp:0.1.0'

@minValue(1)
@maxValue(600)
@description('How many sessions there may be at once.')
param maxConcurrentSessions int = 100

@minValue(300)
@maxValue(3600)
@description('After how many idle seconds a session ends.')
param cooldownSeconds int = 300

var tags = {
  'azd-env-name': environmentName
}

resource resourceGroup 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module resources 'resources.bicep' = {
  name: 'aca-mcp'
  scope: resourceGroup
  params: {
    name: environmentName
    location: location
    tags: tags
    entraClientId: entraClientId
    secret: secret
    image: image
    maxConcurrentSessions: maxConcurrentSessions
    cooldownSeconds: cooldownSeconds
  }
}

@description('What MCP clients are given.')
output ACA_MCP_URL string = resources.outputs.url

@description('The entry for the configuration of a client.')
output ACA_MCP_CLIENT_CONFIGURATION object = resources.outputs.clientConfiguration

output ACA_MCP_POOL_MANAGEMENT_ENDPOINT string = resources.outputs.poolManagementEndpoint
