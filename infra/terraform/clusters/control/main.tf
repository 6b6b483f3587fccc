# The machines and the cluster named like this folder. A further cluster has a copy of it under its own name.

variable "rendered" {
  description = "The folder that the folders of clusters are rendered into."
  type        = string
  default     = "../../../clusters"
}

module "cluster" {
  source = "../../modules/k8s-cluster"
  folder = "${var.rendered}/${basename(abspath(path.root))}"
}

output "control_planes" {
  description = "The names of the control planes."
  value       = module.cluster.control_planes
}
