#!/bin/busybox sh
# the first process: load the modules, mount the disk if there is one, run the program or a shell, power off
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TERM=linux
mount -t devtmpfs none /dev 2>/dev/null
mount -t proc none /proc
mount -t sysfs none /sys

for module in $(cat /modules/order); do
  insmod /modules/$module.ko || echo "init: module $module does not load"
done

if [ -b /dev/vda ]; then
  if mount -t ext4 /dev/vda /mnt 2>/dev/null; then
    echo "init: /dev/vda is mounted at /mnt"
  else
    echo "init: /dev/vda holds no ext4"
  fi
fi

echo "init: $(uname -srm), up for $(cut -d' ' -f1 /proc/uptime) s"
if [ -x /program ]; then
  /program
  echo "init: the program ended with exit code $?"
else
  setsid cttyhack sh
fi
umount /mnt 2>/dev/null
poweroff -f
