# The least that the plugin's token needs in Consul, as rules of a policy:
#
#   consul acl policy create -name cni-ipam-consul -rules @acl-policy.hcl
#   consul acl token create -policy-name cni-ipam-consul
#
# No sessions, no agent, no nodes, no services.

# Everything that the plugin keeps, if ipam.prefix is not set. "write" includes reading and listing,
# also with acl.enable_key_list_policy.
key_prefix "cni-ipam-consul/" {
  policy = "write"
}

# For each network, here one called NETWORK: where the data of the plugin's ancestor would be. Nothing
# is written there. Without this rule a first ADD cannot see such data and goes on as if there were
# none, or fails where acl.enable_key_list_policy is set. "list" is "read" and listing.
key_prefix "NETWORK" {
  policy = "list"
}
