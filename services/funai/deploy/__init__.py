"""Deploy, the control plane: keeps jobs, decides where apps run, hands work to runners."""
