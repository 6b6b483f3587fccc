//! The names that programs give to what is recognised by them: annotations, and groups of kinds.

/// The annotations of Services by which load balancers are asked for addresses.
pub(in super::super) const ADDRESS_ANNOTATIONS: [&str; 4] = [
    "metallb.io/loadBalancerIPs",
    "metallb.universe.tf/loadBalancerIPs",
    "lbipam.cilium.io/ips",
    "kube-vip.io/loadbalancerIPs",
];
/// The annotations by which Services agree to share an address.
pub(in super::super) const SHARING_ANNOTATIONS: [&str; 3] =
    ["metallb.io/allow-shared-ip", "metallb.universe.tf/allow-shared-ip", "lbipam.cilium.io/sharing-key"];

/// The group of policies, which hold patterns of names and not names.
pub(in super::super) const POLICY_GROUP: &str = "kyverno.io/";
