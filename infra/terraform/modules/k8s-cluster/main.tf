# A cluster of Kubernetes on machines of its own, made by kubeadm. What it consists of is in a rendered folder.

terraform {
  required_version = ">= 1.11, < 2.0"
}

variable "folder" {
  description = "The rendered folder of the cluster, `infra/clusters/<cluster>`."
  type        = string
}

locals {
  given          = jsondecode(file("${var.folder}/terraform.tfvars.json"))
  scripts        = "${path.module}/../../../scripts"
  control_planes = [for machine in local.given.machines : machine.name if machine.role == "control-plane"]
  # What the members were made of when the script came to its end, which the state does not know.
  done   = split(" ", trimspace(try(file("${path.root}/.machines/members"), "")))
  wanted = sha256(jsonencode([module.machines.ids, local.given.machines, local.given.kubernetes_version]))
}

module "machines" {
  source         = "../machines"
  folder         = var.folder
  image          = local.given.image
  machines       = local.given.machines
  control_planes = local.control_planes
}

# Is there as long as the cluster. When all of it goes, this goes first, and no node is drained any more.
resource "terraform_data" "cluster" {
  depends_on = [module.machines]
  input = {
    scripts        = local.scripts
    control_planes = join(" ", local.control_planes)
  }

  provisioner "local-exec" {
    when        = destroy
    interpreter = ["${self.output.scripts}/cluster"]
    command     = "dissolve"
    environment = { CONTROL_PLANES = self.output.control_planes }
  }
}

# Makes a member of the cluster of each machine that is none, and gives each the size and the version of Kubernetes that the
# inventory says.
resource "terraform_data" "members" {
  depends_on = [terraform_data.cluster]
  triggers_replace = {
    attempt    = try(local.done[2] == local.wanted ? local.done[1] : uuid(), uuid())
    ids        = module.machines.ids
    machines   = local.given.machines
    kubernetes = local.given.kubernetes_version
  }

  provisioner "local-exec" {
    interpreter = ["${local.scripts}/cluster"]
    command     = "bootstrap"
    environment = {
      LEDGER         = "${path.root}/.machines"
      ATTEMPT        = self.triggers_replace.attempt
      MADE_OF        = local.wanted
      FOLDER         = var.folder
      KUBERNETES     = local.given.kubernetes_version
      CONTROL_PLANES = join(" ", local.control_planes)
      MACHINES = join("\n", [
        for machine in local.given.machines :
        join(" ", [machine.name, machine.role, machine.address, machine.cpus, machine.memory, machine.disk])
      ])
    }
  }
}

output "control_planes" {
  description = "The names of the control planes."
  value       = local.control_planes
}
