# Machines of Multipass, each made and removed by `infra/scripts/machine`.
#
# Terraform may write a resource into its state before its provisioners have run, or after, so the state does not know what a
# kill interrupted. The scripts write down in `.machines`, beside the state, how far they are, and the number of the attempt. One
# that was interrupted has another number than the one in the state, so it is made again. A destroy-time provisioner sees nothing
# but `self`: what it needs is kept as the output of its resource.

terraform {
  required_version = ">= 1.11, < 2.0"
}

variable "folder" {
  description = "The rendered folder that `cloud_init` is relative to."
  type        = string
}

variable "image" {
  description = "The image of Ubuntu, such as `24.04`."
  type        = string
}

variable "machines" {
  description = "The machines. Memory and disk are quantities such as `4Gi`."
  type = list(object({
    name       = string
    cpus       = number
    memory     = string
    disk       = string
    cloud_init = string
  }))
}

variable "control_planes" {
  description = "The names of the control planes of the cluster that the machines are nodes of; none if they are not."
  type        = list(string)
  default     = []
}

locals {
  # Relative, so that a checkout may be moved.
  scripts  = "${path.module}/../../../scripts"
  ledger   = "${path.root}/.machines"
  machines = { for machine in var.machines : machine.name => machine }
}

# A provisioner of a machine that failed to come up is not run when that goes, so its name is a resource of its own.
resource "terraform_data" "name" {
  for_each = local.machines
  input    = { scripts = local.scripts, ledger = local.ledger }

  provisioner "local-exec" {
    when        = destroy
    interpreter = ["${self.output.scripts}/machine", "release"]
    command     = each.key
    environment = { LEDGER = self.output.ledger }
  }
}

resource "terraform_data" "machine" {
  for_each         = local.machines
  triggers_replace = try(split(" ", trimspace(file("${local.ledger}/${each.key}")))[1], "-")
  input = {
    scripts        = terraform_data.name[each.key].output.scripts
    ledger         = local.ledger
    control_planes = join(" ", var.control_planes)
  }

  provisioner "local-exec" {
    interpreter = ["${self.output.scripts}/machine", "launch"]
    command     = each.key
    environment = {
      LEDGER     = self.output.ledger
      ATTEMPT    = self.triggers_replace
      IMAGE      = var.image
      CPUS       = each.value.cpus
      MEMORY     = each.value.memory
      DISK       = each.value.disk
      CLOUD_INIT = "${var.folder}/${each.value.cloud_init}"
    }
  }

  provisioner "local-exec" {
    when        = destroy
    interpreter = ["${self.output.scripts}/machine", "remove"]
    command     = each.key
    environment = {
      LEDGER         = self.output.ledger
      CONTROL_PLANES = self.output.control_planes
    }
  }
}

output "ids" {
  description = "An id of each machine, which is another one once the machine was replaced."
  value       = { for name, machine in terraform_data.machine : name => machine.id }
}
