# The machines outside every cluster: MySQL and Redis.

variable "folder" {
  description = "The folder that is rendered for the whole fleet."
  type        = string
  default     = "../../../fleet"
}

module "databases" {
  source = "../../modules/database-vm"
  folder = var.folder
}
