"""`sluice testbed`: a deployment file on real packets, in network namespaces of this machine."""
