"""The Azure session pool: Azure Container Apps dynamic sessions over their data-plane REST API."""
