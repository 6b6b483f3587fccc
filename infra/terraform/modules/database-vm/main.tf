# Machines with a database each, outside every cluster. No password is an input: scripts read them when they set them.

terraform {
  required_version = ">= 1.11, < 2.0"
}

variable "folder" {
  description = "The rendered folder, `infra/fleet`."
  type        = string
}

locals {
  given    = jsondecode(file("${var.folder}/terraform.tfvars.json"))
  scripts  = "${path.module}/../../../scripts"
  machines = { for machine in try(local.given.machines, []) : machine.name => machine }
  # What the script was run for when it came to its end, which the state does not know.
  done   = { for name in keys(local.machines) : name => split(" ", trimspace(try(file("${path.root}/.machines/${name}.database"), ""))) }
  wanted = { for name, machine in local.machines : name => sha256(jsonencode([module.machines.ids[name], machine])) }
}

module "machines" {
  source   = "../machines"
  folder   = var.folder
  image    = try(local.given.image, "")
  machines = values(local.machines)
}

# Gives a machine the size that the inventory says, and its database the password.
resource "terraform_data" "database" {
  for_each = local.machines
  triggers_replace = {
    attempt = try(local.done[each.key][2] == local.wanted[each.key] ? local.done[each.key][1] : uuid(), uuid())
    id      = module.machines.ids[each.key]
    machine = each.value
  }

  provisioner "local-exec" {
    interpreter = ["${local.scripts}/database"]
    command     = each.key
    environment = {
      LEDGER  = "${path.root}/.machines"
      ATTEMPT = self.triggers_replace.attempt
      MADE_OF = local.wanted[each.key]
      ENGINE  = each.value.engine
      CPUS    = each.value.cpus
      MEMORY  = each.value.memory
      DISK    = each.value.disk
    }
  }
}
