#!/usr/bin/env bash
# The processes of a Spark cluster on this machine: spark.sh HOME PORT, in the folder where everything of it goes.
#
# PORT is the Connect server's, the next one the master's, the one after it that of the master's page. Whatever of it
# dies is started again, as systemd or a container engine would do. NAME.pid is the number of each: connect, master,
# worker-1, worker-2; executors are children of the workers.
set -euo pipefail

home=$1 port=$2 folder=$PWD
master=spark://127.0.0.1:$((port + 1))
quick=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1)
export SPARK_HOME=$home SPARK_LOCAL_IP=127.0.0.1 SPARK_LOCAL_DIRS=$folder/local
export SPARK_DAEMON_JAVA_OPTS=${quick[*]}
# Else the master also listens on port 6066, where anyone may start programs.
export SPARK_MASTER_OPTS="-Dspark.master.rest.enabled=false"
# What the executors' programs find: executors have the environment of their worker.
export PATH=$folder/executor:$PATH USERDATA_CONFIG=$folder/executor/Config.toml

declare -A name_of=()

launch() {
    case $1 in
        master)
            SPARK_DAEMON_MEMORY=256m "$home/bin/spark-class" org.apache.spark.deploy.master.Master \
                --host 127.0.0.1 --port $((port + 1)) --webui-port $((port + 2)) & ;;
        worker-?)
            SPARK_DAEMON_MEMORY=256m "$home/bin/spark-class" org.apache.spark.deploy.worker.Worker --host 127.0.0.1 \
                --cores 1 --memory 1g --webui-port $((port + 2 + ${1#worker-})) --work-dir "$folder/$1" "$master" & ;;
        connect)
            # A stream of answers ends after a second, not after two minutes: so every job's is gone on with by another.
            SPARK_DAEMON_MEMORY=1g "$home/bin/spark-submit" --class org.apache.spark.sql.connect.service.SparkConnectServer \
                --name "Spark Connect server" --master "$master" --executor-memory 1g \
                --conf spark.connect.grpc.binding.address=127.0.0.1 --conf spark.connect.grpc.binding.port="$port" \
                --conf spark.driver.host=127.0.0.1 --conf spark.ui.enabled=false \
                --conf spark.driver.extraJavaOptions="${quick[*]}" \
                --conf spark.executor.extraJavaOptions="${quick[*]}" \
                --conf spark.connect.execute.reattachable.senderMaxStreamDuration=1s \
                --conf spark.scheduler.minRegisteredResourcesRatio=1 & ;;
    esac
    name_of[$!]=$1
    echo "$!" >"$1.pid"
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The workers and their executors end with the others.
finish() {
    trap '' TERM
    kill -TERM "${!name_of[@]}" 2>/dev/null || true
    wait
    exit 0
}
trap finish TERM

launch master
# A worker that does not find its master tries again only after seconds.
until listens $((port + 1)); do
    kill -0 "${!name_of[@]}" 2>/dev/null || exit 1
    sleep 0.05
done
for name in worker-1 worker-2 connect; do launch "$name"; done
while :; do
    code=0
    wait -n -p ended || code=$?
    name=${name_of[$ended]}
    unset "name_of[$ended]"
    echo "spark.sh: $name ended with $code and is started again"
    # Not in a circle as fast as the machine can.
    sleep 1
    launch "$name"
done
