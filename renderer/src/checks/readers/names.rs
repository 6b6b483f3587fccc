//! The names that programs give to what is recognised by them: annotations, and groups of kinds.

/// The annotations of Services by which load balancers are asked for addresses.
pub const ADDRESS_ANNOTATIONS: [&str; 8] = [
    "metallb.io/loadBalancerIPs",
    "metallb.universe.tf/loadBalancerIPs",
    "lbipam.cilium.io/ips",
    "io.cilium/lb-ipam-ips",
    "kube-vip.io/loadbalancerIPs",
    "purelb.io/addresses",
    "service.beta.kubernetes.io/azure-load-balancer-ipv4",
    "service.beta.kubernetes.io/azure-load-balancer-ipv6",
];
/// The annotations by which Services agree to share an address.
pub(in super::super) const SHARING_ANNOTATIONS: [&str; 5] = [
    "metallb.io/allow-shared-ip",
    "metallb.universe.tf/allow-shared-ip",
    "lbipam.cilium.io/sharing-key",
    "io.cilium/lb-ipam-sharing-key",
    "purelb.io/allow-shared-ip",
];

/// The group of policies, which hold patterns of names and not names.
pub(in super::super) const POLICY_GROUP: &str = "kyverno.io/";
