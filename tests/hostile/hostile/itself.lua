return require "hostile.itself"
