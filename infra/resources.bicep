// What main.bicep puts into its resource group.

param name string
param location string
param tags object
param entraClientId string

@secure()
param secret string

param image string
param maxConcurrentSessions int
param cooldownSeconds int

// Azure ContainerApps Session Executor
var sessionExecutor = '0fb8eba5-a2bb-4abe-b1c1-49dfad359bb0'
var port = 8000
var url = 'https://${name}.${managedEnvironment.properties.defaultDomain}/mcp'

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: 'log-${name}'
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: 30
  }
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-${name}'
  location: location
  tags: tags
}

resource sessionPool 'Microsoft.App/sessionPools@2026-07-01' = {
  name: 'pool-${name}'
  location: location
  tags: tags
  properties: {
    poolManagementType: 'Dynamic'
    containerType: 'PythonLTS'
    scaleConfiguration: {
      maxConcurrentSessions: maxConcurrentSessions
    }
    dynamicPoolConfiguration: {
      lifecycleConfiguration: {
        lifecycleType: 'Timed'
        cooldownPeriodInSeconds: cooldownSeconds
      }
    }
    sessionNetworkConfiguration: {
      status: 'EgressDisabled'
    }
  }
}

// On the pool alone: the server needs nothing else of Azure.
resource mayUseSessions 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(sessionPool.id, identity.id, sessionExecutor)
  scope: sessionPool
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', sessionExecutor)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource managedEnvironment 'Microsoft.App/managedEnvironments@2026-07-01' = {
  name: 'env-${name}'
  location: location
  tags: tags
  properties: {
    appLogsConfiguration: {
      destination: 'azure-monitor'
    }
    workloadProfiles: [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
    ]
  }
}

resource logsOfEnvironment 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'all-logs'
  scope: managedEnvironment
  properties: {
    workspaceId: logs.id
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
  }
}

resource server 'Microsoft.App/containerApps@2026-07-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    environmentId: managedEnvironment.id
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        targetPort: port
        transport: 'http'
        allowInsecure: false
      }
      secrets: [
        {
          name: 'secret'
          value: secret
        }
      ]
    }
    template: {
      terminationGracePeriodSeconds: 60
      containers: [
        {
          name: 'aca-mcp'
          image: image
          resources: {
            cpu: json('0.5')
            memory: '1Gi'
          }
          env: [
            {
              name: 'ACA_MCP_TRANSPORT'
              value: 'http'
            }
            {
              name: 'ACA_MCP_HOST'
              value: '0.0.0.0'
            }
            {
              name: 'ACA_MCP_PORT'
              value: string(port)
            }
            {
              name: 'ACA_MCP_PUBLIC_URL'
              value: url
            }
            {
              name: 'ACA_MCP_ALLOWED_HOSTS'
              value: '${name}.${managedEnvironment.properties.defaultDomain}'
            }
            {
              // Nothing but the environment's own ingress reaches the container.
              name: 'ACA_MCP_TRUSTED_PROXIES'
              value: '*'
            }
            {
              name: 'ACA_MCP_SECRET'
              secretRef: 'secret'
            }
            {
              name: 'ACA_MCP_AUTH_ISSUER'
              value: '${environment().authentication.loginEndpoint}${subscription().tenantId}/v2.0'
            }
            {
              name: 'ACA_MCP_AUTH_AUDIENCE'
              value: entraClientId
            }
            {
              name: 'ACA_MCP_AUTH_REQUIRED_SCOPES'
              value: 'api://${entraClientId}/Python.Execute'
            }
            {
              name: 'ACA_MCP_POOL_MANAGEMENT_ENDPOINT'
              value: sessionPool.properties.poolManagementEndpoint
            }
            {
              name: 'ACA_MCP_AZURE_CREDENTIAL'
              value: 'managed-identity'
            }
            {
              name: 'ACA_MCP_AZURE_CLIENT_ID'
              value: identity.properties.clientId
            }
            {
              name: 'ACA_MCP_AUDIT_LOG'
              value: 'true'
            }
          ]
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: '/healthz'
                port: port
              }
              periodSeconds: 2
              failureThreshold: 60
            }
            {
              type: 'Liveness'
              httpGet: {
                path: '/healthz'
                port: port
              }
              periodSeconds: 15
              timeoutSeconds: 5
              failureThreshold: 4
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/readyz'
                port: port
              }
              periodSeconds: 10
              timeoutSeconds: 5
            }
          ]
        }
      ]
      // More than one only for clients of MCP 2026-07-28: docs/serving.md, Several replicas.
      scale: {
        minReplicas: 1
        maxReplicas: 1
      }
    }
  }
}

output url string = url
output clientConfiguration object = {
  mcpServers: {
    python: {
      type: 'http'
      url: url
    }
  }
}
output poolManagementEndpoint string = sessionPool.properties.poolManagementEndpoint
