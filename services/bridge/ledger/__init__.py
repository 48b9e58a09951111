"""The ledger: transfers of credited minutes, their attempts and their reports. Pure."""
