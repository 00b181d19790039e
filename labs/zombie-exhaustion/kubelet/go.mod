module kubelet

go 1.26
